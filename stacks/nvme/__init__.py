"""NVMe over Fabrics: targets, initiators and stores."""
