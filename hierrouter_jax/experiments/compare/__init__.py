"""Reward shapings, learners or networks compared over seeds and cost weights, by the rules of honest evaluation."""
