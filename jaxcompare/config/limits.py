"""The most that a config or a command may ask, so that what cannot be trained is an error at once. Standard library only."""

MOST_VARIANTS = 10_000  # of a comparison
MOST_SEEDS = 10_000  # of a study, and of its confirmation
MOST_REPLICAS = 1_000_000  # of a comparison: variants at every seed
MOST_EPOCHS = 1_000_000
MOST_STEPS = 2**31 - 1  # of a replica: steps are counted in int32
MOST_EXAMPLES = 10_000_000  # of a generated data set
MOST_LAYERS = 256  # in `hidden` and in `channels`
MOST_UNITS = 65_536  # of a layer
MOST_WHOLE = 2**31 - 1  # of any other whole number
MOST_PLACES = 1024  # of --mesh: replica, and data
MOST_BYTES = 2**50  # of --memory
MOST_CHARACTERS = 2**21  # of a config's file
MOST_DEPTH = 16  # of tables and lists in each other
