"""What pages are built of; nothing here computes."""
