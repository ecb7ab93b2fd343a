"""ThreadWeaver on unforked OpenRLHF: its own commands with `openrlhf_ext` in place of `openrlhf.cli`.

    python -m openrlhf_ext.train_sft      <flags of openrlhf.cli.train_sft>      --tw.…
    python -m openrlhf_ext.train_ppo_ray  <flags of openrlhf.cli.train_ppo_ray>  --tw.…

Imports nothing: OpenRLHF loads its modules in an order that it cares about.
"""
