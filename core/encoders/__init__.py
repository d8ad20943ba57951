"""Small networks that turn one modality into embeddings."""
