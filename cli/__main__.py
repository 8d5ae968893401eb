"""``python -m pyg_advinfonce.cli``, which ``torchrun -m`` starts in each process."""

from .main import main

if __name__ == "__main__":
    main()
