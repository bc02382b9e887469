"""Real servers for tests: each one a class that starts a child process on free ports in a folder of the test's.

They are started by fixtures (`fixtures.py`) or by a test itself (`with Consul(tmp_path) as consul:`). They hold no
assertions and know nothing of the product, so that a test may use them against any part of it.
"""
