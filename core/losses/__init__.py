"""One loss, one short file: how scores or embeddings become what is paid."""
