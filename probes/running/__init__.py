"""Running checks on a subject: one here, or many in processes of their own."""
