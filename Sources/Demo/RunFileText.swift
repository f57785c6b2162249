/// The run file of the demo: every setting with what it does, to start one's own from.
let runFileText = """
  # A run file: which model is trained on what, and how. Start it with
  #   mpirun -n 8 mmdist train -c mmdist.yaml          (or without mpirun, on one process)
  # Any key can be given on the command line too: --set train.steps=200

  model: ./model               # a Hugging Face directory: config.json, *.safetensors, tokenizer.json, processor files
  output: ./run                # metrics, checkpoints and the trained adapter go here

  data:
    train:                     # JSON Lines of conversations; <image> is where the picture goes
      - {path: train.jsonl, images: ./images}
    validation:                # other pictures, other questions
      - {path: held-out.jsonl, images: ./images}
    max_length: 256            # tokens; a picture of this model takes 64 of them
    packing: true              # conversations lie side by side without padding, in any case
    shuffle: true

  train:
    steps: 1000                # updates of the weights; or give epochs instead
    global_batch: 32           # conversations per update, over all processes: the result does not depend on their number
    micro_batch: 4             # conversations that one process computes at once
    seed: 0                    # of order, dropout and fresh weights: the same seed gives the same bits
    precision: float32         # bfloat16 halves the memory of the frozen weights

    parts:                     # the model has three parts; each is trained in its own way
      vision: {train: frozen}  # sees shapes and colours already
      projector:               # from what is seen to what is said; it comes untrained, so all of it is trained
        train: full
        learning_rate: 2.0e-3
      language:                # can describe pictures, but has never been asked a question:
        train: lora            # a small addition to every linear layer learns that; the weights themselves stay
        learning_rate: 2.0e-3
        rank: 16
        alpha: 32
        dropout: 0.0
        targets: all-linear

    schedule: {name: cosine, warmup_ratio: 0.05}   # the rates rise, then fall along half a cosine
    clip_norm: 1.0             # a gradient longer than this is shortened to it

  checkpoint: {every: 250, keep: 2}   # kill the run at any time; started again it goes on from the newest checkpoint
  log: {every: 20, tensorboard: true}
  cache: {features: memory}    # what the frozen vision part makes of a picture is computed once; disk keeps it for later runs

  """
