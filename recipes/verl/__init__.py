"""verl recipes: YAMLs that stand on verl's own (`hydra.searchpath: [pkg://verl.trainer.config]`)."""
