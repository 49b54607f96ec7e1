"""What the benches need in bulk: realistic samples without the machines that would give them."""
