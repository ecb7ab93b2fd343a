"""`make quickstart`: ThreadWeaver from a random model to a report, with real parts and without a GPU.

    data ─▶ SFT (with threads) ─▶ P-GRPO, fork-join rollouts ─▶ ┐
       └──▶ SFT (sequential) ──▶ GRPO, plain rollouts ────────▶ ┴─▶ evaluation ─▶ report.html

Both lines get the same problems and the same number of steps; they run side by side, one core each. All
of it is `quickstart.yaml`, a file of `threadweaver pipeline run`; the code here is the toy's own: settings,
seeds, promises and pages.
"""
