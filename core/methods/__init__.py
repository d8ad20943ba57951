"""What persists between steps: which batches are drawn, and later queues, teachers and stages."""
