"""What the appliance tells about itself, without ever waiting for whoever listens."""
