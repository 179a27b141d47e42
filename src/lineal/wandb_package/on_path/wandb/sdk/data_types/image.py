"""Images."""

from lineal.client.media.image import Image as Image
