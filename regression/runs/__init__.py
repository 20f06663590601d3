"""Who trains what, and when: units, stages, devices and launchers, up to a judged run folder."""
