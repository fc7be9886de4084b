"""What a person does from outside: upload photos, trigger a run, follow it, fetch its results."""
