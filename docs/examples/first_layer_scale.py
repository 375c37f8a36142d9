"""Which frequency scale the filters of a first convolution lie on."""

# [network]
from auralise.filters import effective_bank, judge_scale, respond, untrained_banks
from auralise.frontends import RawFrontend
from auralise.models import MODELS, wrap

module = MODELS["dieleman2014-raw"].build(2)  # untrained here; load weights of your own
network = wrap(module.eval(), RawFrontend(16000))
# [respond]
bank = effective_bank(network)
response = respond(bank)
print(bank.names[0], f"peaks at {response.peak[0]:.0f} Hz, {response.bandwidth[0]:.0f} Hz wide")
for note in bank.notes:
    print("note:", note)
# [judge]
controls = [respond(control) for control in untrained_banks(network)]
verdict = judge_scale(response, controls)
print(verdict.sentence)
