"""Generate the training document's datasets: python generate_training_data.py --all."""

from sim.cli import generate_training_data

if __name__ == "__main__":
    generate_training_data()
