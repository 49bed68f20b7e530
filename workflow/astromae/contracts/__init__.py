"""What stands between the stages: the files that one stage writes and later ones read.

Each kind of file has its module here, with one writer and one reader, which check:

catalog      galaxies of a survey: one row an object
shards       their stamps
missing      the galaxies that got no stamp, with reasons
splits       subsets of the galaxies with a stamp
features     what a frozen encoder makes of all views of them
predictions  what a model predicts of them
label_curves what one way to learn predicts of them after each number of labels

They are modules of their own, since a step reruns when the code of a contract changes that it reads or writes.
"""
