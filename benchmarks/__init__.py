"""Measurements that anyone can rerun: `python -m benchmarks NAME`. Tests do not time; this does."""
