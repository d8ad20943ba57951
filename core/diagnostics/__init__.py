"""What we look at: tensors -> numbers, each with its definition, its range and its chance level."""
