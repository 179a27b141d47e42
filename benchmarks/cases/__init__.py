"""What is measured: each module has `measure`, and is named by `python -m benchmarks NAME`."""
