"""What a build is made of, what the last one was made of, and how much of it the next one may keep."""

from transforms.builds.increments import Contents, next_step, plan_increments
from transforms.builds.inputs import Inputs, read_inputs
from transforms.builds.record import STEPS, forget_from, reason_to_build, remember

__all__ = [
    "STEPS",
    "Contents",
    "Inputs",
    "forget_from",
    "next_step",
    "plan_increments",
    "read_inputs",
    "reason_to_build",
    "remember",
]
