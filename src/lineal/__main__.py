"""`python -m lineal`: the command line where `lineal` is not on the PATH."""

from lineal.cli import main

if __name__ == "__main__":
    main()
