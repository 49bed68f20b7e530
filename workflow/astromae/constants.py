"""The survey's constants that every stage shares."""

#: The five SDSS bands, in the order of every array, table and file of this project.
BANDS = ("u", "g", "r", "i", "z")

#: Pixel scale of the SDSS camera and of the stamps, arcsec a pixel.
PIXEL_SCALE_ARCSEC = 0.396

#: Columns and rows of a corrected SDSS frame.
FRAME_COLUMNS, FRAME_ROWS = 2048, 1489

#: Zero point of the nanomaggie: AB magnitude of a flux of one nanomaggie.
ZERO_POINT_NMGY = 22.5

#: Pixels on a side of a stamp that is cut from SDSS frames, unless another size is configured.
STAMP_SIZE = 64
