"""`python -m service.predict` is `deeplab-predict`."""

from service.predict.cli import main

main()
