"""What people have, read: lists, columns and files -> tokens -> character ids.

Nothing here knows Keras, or any other part of the package.
"""
