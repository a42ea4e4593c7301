"""What people say of neurons, in files beside the spec: families and notes, held against the models, and their Markdown."""
