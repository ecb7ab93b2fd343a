"""Stage 1 of the data (§4.1): a model rewrites sequential traces as parallel trajectories, in five steps.

    structure ─▶ extract ─▶ rewrite ─▶ outline ─▶ filter
    (model)                 (model)    (model)

Each step reads and writes JSON Lines, one record a line, rejected ones with their reason.
"""
