"""The comparison of all methods: what is run, and how it is shown."""
