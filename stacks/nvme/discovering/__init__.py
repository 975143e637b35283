"""Discovery services that stay connected, and connecting to everything that they list (`sync`, `aio`)."""
