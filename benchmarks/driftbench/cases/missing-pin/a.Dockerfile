FROM python:3.13-slim
COPY wheels /wheels
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels textprep==1.2 stemlite==0.9 reportkit==3.1
WORKDIR /app
COPY *.py ./
