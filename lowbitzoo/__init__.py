"""The door of the zoo: its verbs and commands, nothing else."""
