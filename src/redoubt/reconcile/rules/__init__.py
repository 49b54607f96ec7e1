"""One rule per file, called as the rule is, each with a `RULE`. `fan_lost` is a model to copy."""
