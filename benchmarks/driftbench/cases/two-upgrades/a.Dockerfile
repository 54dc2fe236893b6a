FROM python:3.13-slim
COPY wheels /wheels
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels featstore==1.8 encoders==1.0 plotlite==5.0
WORKDIR /app
COPY *.py ./
