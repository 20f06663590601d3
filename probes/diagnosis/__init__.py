"""From the pattern of red and green checks to the component that is probably broken."""
