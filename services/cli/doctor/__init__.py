"""What `detector doctor` checks, one module per neighbourhood. A check never raises."""
