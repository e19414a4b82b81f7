"""Networks, each described once and parametrised by the layers it is built of."""
