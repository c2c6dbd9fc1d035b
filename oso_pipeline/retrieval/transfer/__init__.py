"""From an offer to a published product: parts, checks, quarantine, rename."""
