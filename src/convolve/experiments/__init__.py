"""The lectures' claims as experiments: what each says, how it is tried, and what was found.

One file a claim, by its name; `claim` says what a claim is, `trial` trains for one, `findings` keeps what was found and
gives the verdict, and `command` is `convolve claims`.
"""
