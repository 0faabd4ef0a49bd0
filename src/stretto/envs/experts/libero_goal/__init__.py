"""Closed-loop experts for the ten tasks of LIBERO-Goal: the next action as a function of the simulator's state."""

from stretto.envs.experts.libero_goal.expert import LiberoGoalExpert

__all__ = ["LiberoGoalExpert"]
