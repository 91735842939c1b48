"""The last rung: NumPy only, and every gradient by hand. Each piece is tested equal to its twin in torch.

Nothing here imports torch or Satsuma's other rooms: `peel` copies these sources into scripts that need NumPy alone.
"""
