"""Convolutional restricted Boltzmann machines over time, fitted by contrastive divergence."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from auralise.errors import InvalidValueError
from auralise.training.options import HIDDEN

VISIBLE = ("gaussian", "binary")


class ConvolutionalRBM(nn.Module):
    r"""Maps of hidden units over time above maps of visible ones; all places share weights.

    With the drive :math:`x_{kt} = b_k + \sum_{d, s} W_{kds} v_{d, t+s}` of hidden unit k at place
    t, the energy is

    .. math:: E(v, h) = \tfrac12 \sum_{dt} (v_{dt} - c_d)^2 - \sum_{kt} x_{kt} h_{kt}

    for visible units of variance 1, and :math:`-\sum c_d v_{dt}` in place of the first sum for
    binary ones. Rectified hidden units answer :math:`\max(0, x)` and are drawn as
    :math:`\max(0, x + \sqrt{\sigma(x)}\,\epsilon)`; they stand for many binary units that share
    their weights [2]_, and their free energy here is that whose derivative is the answer,
    :math:`-\tfrac12 \max(0, x)^2`. With ``pool`` above 1, of each so many neighbours at most one
    binary unit is on: probabilistic max-pooling [1]_. Places behind the last whole group are left
    out.

    Parameters
    ----------
    channels, maps : int
        Visible and hidden maps.
    length : int
        Of the filters, in places.
    visible : {"gaussian", "binary"}
    hidden : {"rectified", "binary"}
    pool : int
        Places in a group; 1 for none. Only binary units can be grouped.
    spread : float
        Standard deviation of the weights at the beginning, drawn from torch's generator.

    Raises
    ------
    InvalidValueError
        If there is no such kind of unit, or rectified ones are to be grouped.

    References
    ----------
    .. [1] H. Lee, R. Grosse, R. Ranganath, A. Y. Ng, "Convolutional deep belief networks for
       scalable unsupervised learning of hierarchical representations", Proc. ICML, 2009.
    .. [2] V. Nair, G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines",
       Proc. ICML, 2010.
    .. [3] G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural
       Computation 14(8), 2002.
    """

    def __init__(
        self,
        channels: int,
        maps: int,
        length: int,
        *,
        visible: str = "gaussian",
        hidden: str = "rectified",
        pool: int = 1,
        spread: float = 0.01,
    ) -> None:
        super().__init__()
        for name, value, known in (("visible", visible, VISIBLE), ("hidden", hidden, HIDDEN)):
            if value not in known:
                raise InvalidValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if pool < 1 or (pool > 1 and hidden != "binary"):
            raise InvalidValueError(
                f"pool must be 1 for {hidden} units, and at least 1 for binary ones; got {pool}"
            )
        self.visible, self.hidden, self.pool = visible, hidden, pool
        self.weight = nn.Parameter(spread * torch.randn(maps, channels, length))
        self.hidden_bias = nn.Parameter(torch.zeros(maps))
        self.visible_bias = nn.Parameter(torch.zeros(channels))

    def drive(self, v: Tensor) -> Tensor:
        """Return (batch, maps, places) drives of hidden units for (batch, channels, time)."""
        x = functional.conv1d(v, self.weight, self.hidden_bias)
        return x[..., : x.shape[-1] // self.pool * self.pool]

    def hidden_mean(self, v: Tensor) -> Tensor:
        """Return the hidden units' expected answer, shape (batch, maps, places)."""
        x = self.drive(v)
        if self.hidden == "rectified":
            return x.relu()
        if self.pool == 1:
            return x.sigmoid()
        return self._shares(x)[..., :-1].flatten(2)

    def _shares(self, x: Tensor) -> Tensor:
        """Return, for each group, the probability of each unit and, last, that none is on."""
        groups = x.reshape(*x.shape[:2], -1, self.pool)
        return functional.pad(groups, (0, 1)).softmax(3)

    def sample_hidden(self, v: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the hidden units, shape (batch, maps, places)."""
        x = self.drive(v)
        if self.hidden == "rectified":
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            return (x + x.sigmoid().sqrt() * noise).relu()
        if self.pool == 1:
            drawn = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            return (drawn < x.sigmoid()).to(x.dtype)
        shares = self._shares(x)
        which = torch.multinomial(shares.flatten(0, 2), 1, generator=generator)
        one = functional.one_hot(which[:, 0], self.pool + 1).to(x.dtype)
        return one.view(shares.shape)[..., :-1].flatten(2)

    def visible_mean(self, h: Tensor, time: int) -> Tensor:
        """Return the visible units' expected value, (batch, channels, time), for hidden ones."""
        spare = time - (self.weight.shape[2] - 1) - h.shape[2]
        x = functional.conv_transpose1d(functional.pad(h, (0, spare)), self.weight)
        x = x + self.visible_bias[:, None]
        return x if self.visible == "gaussian" else x.sigmoid()

    def free_energy(self, v: Tensor) -> Tensor:
        """Return minus the log of the unnormalised probability of visible values, (batch,)."""
        bias = self.visible_bias[:, None]
        own = (v - bias).square() / 2 if self.visible == "gaussian" else -v * bias
        x = self.drive(v)
        if self.hidden == "rectified":
            above = x.relu().square() / 2
        elif self.pool == 1:
            above = functional.softplus(x)
        else:
            groups = functional.pad(x.reshape(*x.shape[:2], -1, self.pool), (0, 1))
            above = groups.logsumexp(3)
        return own.sum((1, 2)) - above.sum((1, 2))

    def contrast(self, v: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss of one step of contrastive divergence, for each place of the hidden maps.

        Its derivative is that of the free energy of the data less that of what the model makes of
        them in one step: hidden units drawn, visible ones taken at their mean.

        Parameters
        ----------
        v : Tensor, shape (batch, channels, time)
        generator : torch.Generator
            On the device of ``v``.
        """
        with torch.no_grad():
            made = self.visible_mean(self.sample_hidden(v, generator), v.shape[2])
        places = v.shape[2] - self.weight.shape[2] + 1
        return (self.free_energy(v) - self.free_energy(made)).mean() / places

    @torch.no_grad()
    def reconstruction_error(self, v: Tensor) -> float:
        """Return the mean square of what is lost from visible to hidden means and back."""
        return float((self.visible_mean(self.hidden_mean(v), v.shape[2]) - v).square().mean())
