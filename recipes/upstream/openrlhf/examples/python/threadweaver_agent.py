"""ThreadWeaver (https://arxiv.org/abs/2512.07843): fork-join reasoning as an OpenRLHF agent.

The model opens a block of numbered outlines; each is continued as a request of its own, and the threads are
joined into one trajectory, which is graded and returned as one sample.

Usage (pip install tw-plugins[openrlhf]; examples/scripts/train_threadweaver_p_grpo.sh is complete):
    python -m openrlhf_ext.train_ppo_ray \\
        --train.agent_func_path examples/python/threadweaver_agent.py ...

With python -m openrlhf.cli.train_ppo_ray rollouts and rewards are the same, but nothing there masks branches:
threads 2..n are then context only and not trained.
"""

from openrlhf_ext.agent import AgentExecutor

__all__ = ["AgentExecutor"]
