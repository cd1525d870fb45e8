"""What a ReLU net does on a whole ball of inputs: bounds, complete search, nearest label change."""
