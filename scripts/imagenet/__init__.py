"""The networks of the ImageNet tables: how they are made, compared with the float network, and shown."""
