"""ThreadWeaver on unforked verl: verl's extension points on one side, `tw_plugins` on the other.

verl loads `verl_ext.plugin` in every one of its processes through the entry-point group `verl.plugins`
(`verl/__init__.py`), so a user's command stays `python -m verl.trainer.main_ppo …`.
"""
