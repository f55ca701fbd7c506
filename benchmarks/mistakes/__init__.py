"""The same mistakes made in the files of several tools, and what each tool says of them before anything is sent."""
