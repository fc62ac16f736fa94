"""What serving engines do by themselves: versions, defaults, which formats they run and how."""
