"""What libraries ask whether somebody is logged in: nobody needs to be."""

api_key = "none is needed"
