"""Commands over the registered checkpoints: ``python -m lowbitzoo COMMAND [NAME...]``."""

from common.cli.zoo import main

if __name__ == "__main__":
    main()
